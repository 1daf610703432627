output "user_arns" {
  description = "The users' ARNs, by their names, for the trust policies of their roles."
  value       = { for name, user in aws_iam_user.machine : name => user.arn }
}

output "secret_arns" {
  description = "The secrets' ARNs, by the names of the users, for the policies of those who read them."
  value       = { for name, secret in aws_secretsmanager_secret.machine : name => secret.arn }
}

output "twokey_yaml" {
  description = "The entry of twokey.yaml for these users."
  value = yamlencode({
    version       = 1
    machine_users = [{ path = var.path, store = "secretsmanager:${coalesce(var.secret_prefix, "machine-users/")}{user}" }]
  })
}
