# Machine users without access keys: twokey creates these and writes them to the secrets, so that no state has a key.

resource "aws_iam_user" "machine" {
  for_each = var.users

  name          = each.key
  path          = var.path
  force_destroy = var.force_destroy
  tags          = merge(var.tags, { tier = each.value })
}

# As `twokey policy machine-user` prints it: assume the roles of the tier, and nothing else.
resource "aws_iam_policy" "tier" {
  for_each = var.tiers

  name        = "machine-user-${each.key}"
  path        = var.path
  description = "What machine users of the tier ${each.key} may do: assume their roles, and nothing else."
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "AssumeRoles"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        Resource = each.value
      },
      {
        Sid    = "NothingElse"
        Effect = "Deny"
        NotAction = [
          "sts:AssumeRole",
          "sts:TagSession",
          "sts:SetSourceIdentity",
          "sts:GetCallerIdentity",
          "sts:GetSessionToken",
        ]
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_user_policy_attachment" "tier" {
  for_each = var.users

  user       = aws_iam_user.machine[each.key].name
  policy_arn = aws_iam_policy.tier[each.value].arn
}

# As `twokey policy source-ip` prints it: a leaked key is useless elsewhere.
resource "aws_iam_policy" "networks" {
  count = length(var.networks) > 0 ? 1 : 0

  name        = "machine-user-networks"
  path        = var.path
  description = "From where the keys of machine users work."
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "OnlyFromTheseNetworks"
        Effect   = "Deny"
        Action   = "*"
        Resource = "*"
        Condition = {
          NotIpAddress = { "aws:SourceIp" = var.networks }
          Bool         = { "aws:ViaAWSService" = "false" }
        }
      },
    ]
  })
}

resource "aws_iam_user_policy_attachment" "networks" {
  for_each = length(var.networks) > 0 ? var.users : {}

  user       = aws_iam_user.machine[each.key].name
  policy_arn = aws_iam_policy.networks[0].arn
}

# Without a value, which twokey writes: a resource for the value would have the key in the state.
resource "aws_secretsmanager_secret" "machine" {
  for_each = var.secret_prefix == null ? {} : var.users

  name                    = "${var.secret_prefix}${each.key}"
  description             = "The access key of the machine user ${each.key}; twokey rotates it."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_in_days
  tags                    = var.tags
}
