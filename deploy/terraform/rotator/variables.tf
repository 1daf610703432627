variable "name" {
  description = "The name of all that is created."
  type        = string
  default     = "twokey"
}

variable "package" {
  description = "The package of the function: dist/twokey-VERSION-lambda-arm64.zip, as `make lambda` builds it."
  type        = string
}

variable "configuration" {
  description = "The content of twokey.yaml: file(\"twokey.yaml\")."
  type        = string
}

variable "policy" {
  description = "What `twokey policy rotator` prints for this configuration: file(\"policy.json\"). Null: only if the accounts are a list, and all users and stores are in member accounts."
  type        = string
  default     = null
}

variable "member_roles" {
  description = "The roles that the function may assume in addition to those that the policy names: [\"arn:aws:iam::*:role/TwokeyMember\"]."
  type        = list(string)
  default     = []
}

variable "schedule" {
  description = "How often a run starts: a schedule expression of EventBridge Scheduler."
  type        = string
  default     = "rate(6 hours)"
}

variable "flexible_minutes" {
  description = "Within how many minutes from then on it starts."
  type        = number
  default     = 30
}

variable "concurrency" {
  description = "How many accounts are rotated at the same time."
  type        = number
  default     = 20
}

variable "tolerated_failures" {
  description = "The percentage of accounts that may have a user that failed or was refused before no further account is begun."
  type        = number
  default     = 10
}

variable "alarm_actions" {
  description = "What is told when no run succeeded for a day, or none could be started: ARNs of SNS topics."
  type        = list(string)
  default     = []
}

variable "architecture" {
  description = "The architecture that the package is for: arm64 or x86_64."
  type        = string
  default     = "arm64"
}

variable "runtime" {
  description = "The runtime that the package is for."
  type        = string
  default     = "python3.13"
}

variable "memory" {
  description = "The function's memory in MB. With 1769 it has one processor."
  type        = number
  default     = 1769
}

variable "retention_in_days" {
  description = "How long results and logs are kept. Null: forever."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
