"""A rehearsal: one's own configuration for many days in seconds, on the emulator, with jobs, outages and weather."""
