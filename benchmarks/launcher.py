"""Runs the program in its arguments, and writes what it cost to the file descriptor that is its first argument.

A program of its own, and a small one. The kernel counts as a process's memory what was resident before it became
another program, too (getrusage(2), ``ru_maxrss``): the child of a large process would seem as large as its parent.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    start = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
    # wait4 returns the usage of this child alone; RUSAGE_CHILDREN is the sum of all children.
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    cost = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}
    os.write(int(sys.argv[1]), json.dumps(cost).encode())
    sys.exit(abs(os.waitstatus_to_exitcode(status)))
