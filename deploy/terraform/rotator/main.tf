# The function, and what it reads and writes.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account     = data.aws_caller_identity.here.account_id
  partition   = data.aws_partition.here.partition
  log_group   = "/aws/lambda/${var.name}"
  log_service = "logs.${data.aws_region.here.name}.amazonaws.com"
  machine_arn = "arn:${local.partition}:states:${data.aws_region.here.name}:${local.account}:stateMachine:${var.name}"
}

resource "aws_kms_key" "twokey" {
  description         = "Encrypts the configuration, the results and the logs of ${var.name}."
  enable_key_rotation = true
  tags                = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PoliciesOfTheAccountDecide"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "TheLogGroup"
        Effect    = "Allow"
        Principal = { Service = local.log_service }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnEquals = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${data.aws_region.here.name}:${local.account}:log-group:${local.log_group}"
          }
        }
      },
    ]
  })
}

resource "aws_s3_bucket" "twokey" {
  bucket_prefix = "${var.name}-"
  force_destroy = true # of configuration and results: no store is there
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "twokey" {
  bucket                  = aws_s3_bucket.twokey.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "twokey" {
  bucket = aws_s3_bucket.twokey.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.twokey.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "twokey" {
  count = var.retention_in_days == null ? 0 : 1

  bucket = aws_s3_bucket.twokey.id

  rule {
    id     = "results"
    status = "Enabled"

    filter {
      prefix = "executions/"
    }

    expiration {
      days = var.retention_in_days
    }
  }
}

resource "aws_s3_bucket_policy" "twokey" {
  bucket = aws_s3_bucket_public_access_block.twokey.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyEncrypted"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.twokey.arn, "${aws_s3_bucket.twokey.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_s3_object" "configuration" {
  bucket  = aws_s3_bucket_server_side_encryption_configuration.twokey.bucket
  key     = "twokey.yaml"
  content = var.configuration
}

resource "aws_cloudwatch_log_group" "twokey" {
  name              = local.log_group
  retention_in_days = var.retention_in_days
  kms_key_id        = aws_kms_key.twokey.arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  name = "${var.name}-function"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "lambda.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "function" {
  name = "run"
  role = aws_iam_role.function.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.twokey.arn}:*"
      },
      {
        Sid      = "Configuration"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.twokey.arn}/twokey.yaml"
      },
      {
        Sid      = "Results"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.twokey.arn}/executions/*"
      },
      {
        Sid      = "FindResults"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.twokey.arn
      },
      {
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = aws_kms_key.twokey.arn
      },
      ], length(var.member_roles) == 0 ? [] : [
      {
        Sid      = "MemberAccounts"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        Resource = var.member_roles
      },
    ])
  })
}

resource "aws_iam_role_policy" "rotator" {
  count = var.policy == null ? 0 : 1

  name   = "rotate"
  role   = aws_iam_role.function.id
  policy = var.policy
}

resource "aws_lambda_function" "twokey" {
  function_name    = var.name
  description      = "Rotates the access keys of machine users."
  role             = aws_iam_role.function.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "twokey.serverless.handler.handle"
  runtime          = var.runtime
  architectures    = [var.architecture]
  memory_size      = var.memory
  timeout          = 900
  kms_key_arn      = aws_kms_key.twokey.arn
  tags             = var.tags

  environment {
    variables = {
      TWOKEY_CONFIG = "s3://${aws_s3_object.configuration.bucket}/${aws_s3_object.configuration.key}"
    }
  }

  depends_on = [aws_cloudwatch_log_group.twokey, aws_iam_role_policy.function]
}
