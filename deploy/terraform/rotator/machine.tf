# The state machine, its schedule, and the alarms.

resource "aws_iam_role" "machine" {
  name = "${var.name}-machine"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "states.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "machine" {
  name = "run"
  role = aws_iam_role.machine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "CallTheFunction"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [aws_lambda_function.twokey.arn, "${aws_lambda_function.twokey.arn}:*"]
      },
      {
        Sid      = "ReadItemsAndWriteResults"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
        Resource = "${aws_s3_bucket.twokey.arn}/executions/*"
      },
      {
        Sid      = "FindTheBucket"
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
      {
        Sid      = "StartTheExecutionsOfTheMap"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = local.machine_arn
      },
      {
        Sid      = "FollowTheExecutionsOfTheMap"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"]
        Resource = [for end in [":*", "/*"] : "${replace(local.machine_arn, ":stateMachine:", ":execution:")}${end}"]
      },
    ]
  })
}

resource "aws_sfn_state_machine" "twokey" {
  name     = var.name
  role_arn = aws_iam_role.machine.arn
  tags     = var.tags

  definition = templatefile("${path.module}/../../state-machine/rotation.asl.json", {
    function_arn       = aws_lambda_function.twokey.arn
    bucket             = aws_s3_bucket.twokey.bucket
    concurrency        = var.concurrency
    tolerated_failures = var.tolerated_failures
  })

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_sqs_queue" "not_started" {
  name                      = "${var.name}-not-started"
  kms_master_key_id         = aws_kms_key.twokey.arn
  message_retention_seconds = 1209600
  tags                      = var.tags
}

resource "aws_iam_role" "schedule" {
  name = "${var.name}-schedule"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartARun"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = aws_sfn_state_machine.twokey.arn
      },
      {
        Sid      = "KeepWhatDidNotStart"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.not_started.arn
      },
      {
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = aws_kms_key.twokey.arn
      },
    ]
  })
}

resource "aws_scheduler_schedule" "twokey" {
  name                = var.name
  description         = "Rotates the access keys that are due."
  schedule_expression = var.schedule

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = var.flexible_minutes
  }

  target {
    arn      = aws_sfn_state_machine.twokey.arn
    role_arn = aws_iam_role.schedule.arn
    input    = "{}"

    dead_letter_config {
      arn = aws_sqs_queue.not_started.arn
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}

resource "aws_cloudwatch_metric_alarm" "no_success" {
  alarm_name          = "${var.name}-no-run-succeeded"
  alarm_description   = "No run of ${var.name} succeeded for a day: none was started, or in each a user failed or was refused. Keys keep working. The document result.json of an execution names its users."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsSucceeded"
  dimensions          = { StateMachineArn = aws_sfn_state_machine.twokey.arn }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name          = "${var.name}-not-started"
  alarm_description   = "A run of twokey could not be started; the queue ${aws_sqs_queue.not_started.name} has the reason."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.not_started.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  tags                = var.tags
}
