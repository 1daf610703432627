"""What twokey costs, each as a ratio to something measured in the same run: ``python -m benchmarks [NAME ...]``.

    startup    `twokey --help` and `--version` against an empty click program
    calls      requests to IAM per user, due and not due, as the emulator counts them
    many       200 users against the tool of origin, wall and CPU time
    accounts   what an account costs in memory and CPU, for 1,000 accounts
    limit      how much of IAM's request rate is used while AWS throttles

Absolute times say more about the machine than about the program; a ratio travels. Whatever is compared runs
alternately (A B A B), so that a machine that slows down meanwhile slows both.
"""
