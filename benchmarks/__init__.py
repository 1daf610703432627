"""The cost of twokey, as ratios to something measured in the same run: ``python -m benchmarks [NAME ...]``.

    startup       `twokey --help` and `--version` against an empty click program
    calls         requests to IAM per user, due and not due, as the emulator counts them
    many          200 users against the original tool, wall and CPU time
    accounts      memory and CPU for each account, with 1,000 accounts
    limit         the share of IAM's request rate that is used while AWS throttles
    pipelines     300 GitHub pipelines against the time that GitHub's limits allow
    jobs          `twokey exec` and `credential-process` against a bare AssumeRole
    lint          1,000 users and 1,000 roles against Cloud Custodian
    audit         5,000 users against a call per user, Cloud Custodian and Prowler
    scan          100 MB of source files against detect-secrets, and their Git history
    revoke        until a leaked key is Inactive, against bare calls and IAM's rate
    rotation      CPU time and requests of one rotation against calls of botocore
    emulator      a request to the emulator against a server that sends fixed bytes
    fleet         many accounts in one run: IAM's rates, and memory
    lambda-chunk  the users of one Lambda function: how many, and with how much memory
    fleet-engine  200 accounts by the state machine while calls fail and functions are killed

Absolute times say more about the machine than about the program; a ratio is comparable between machines. What is
compared runs alternately (A B A B), so that a machine that becomes slower slows both.
"""
