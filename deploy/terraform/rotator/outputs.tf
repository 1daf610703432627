output "state_machine_arn" {
  description = "Start an execution of it to rotate now."
  value       = aws_sfn_state_machine.twokey.arn
}

output "role_arn" {
  description = "The role of the function, which the roles of member accounts have to trust."
  value       = aws_iam_role.function.arn
}

output "bucket" {
  description = "Where the results are, below executions/."
  value       = aws_s3_bucket.twokey.bucket
}
