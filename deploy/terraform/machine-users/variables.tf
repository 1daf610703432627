variable "users" {
  description = "The machine users, and the tier of each, which has to be one of var.tiers: { ci = \"production\" }."
  type        = map(string)
}

variable "tiers" {
  description = "What users of a tier may assume: { production = [\"arn:aws:iam::123456789012:role/deploy\"] }. A * may stand for a part of a role's name."
  type        = map(list(string))

  validation {
    condition = alltrue([
      for role in flatten(values(var.tiers)) :
      can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/*-]+$", role)) && !endswith(role, ":role/*")
    ])
    error_message = "Name roles by their ARNs, and not all roles of an account."
  }

  validation {
    condition     = alltrue([for roles in values(var.tiers) : length(roles) > 0])
    error_message = "Each tier needs a role that its users may assume."
  }
}

variable "path" {
  description = "The IAM path of the users, which twokey selects them by."
  type        = string
  default     = "/machine-users/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)+$", var.path))
    error_message = "Write a path such as /machine-users/, with slashes at its ends; not the root."
  }
}

variable "networks" {
  description = "The public networks that the users' keys work from, such as [\"203.0.113.0/24\"]. Empty: from anywhere."
  type        = list(string)

  validation {
    condition     = alltrue([for network in var.networks : can(cidrhost(network, 0)) && !endswith(network, "/0")])
    error_message = "Write networks such as 203.0.113.0/24, and not all addresses."
  }

  validation {
    condition     = !anytrue([for network in var.networks : can(regex("^(10|127|192\\.168|172\\.(1[6-9]|2[0-9]|3[01]))\\.", network))])
    error_message = "AWS sees public addresses only: name those of the NAT gateway."
  }
}

variable "secret_prefix" {
  description = "How the names of the users' secrets begin. Null: the stores are managed elsewhere."
  type        = string
  default     = "machine-users/"
}

variable "kms_key_arn" {
  description = "The customer managed KMS key that encrypts the secrets, if any."
  type        = string
  default     = null
}

variable "recovery_window_in_days" {
  description = "How long a deleted secret can be restored."
  type        = number
  default     = 30
}

variable "force_destroy" {
  description = "Whether Terraform may delete users that still have access keys. Every job that uses them then fails."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
