"""A synthetic hospital: what ``up --demo``, the benchmarks and the fault tests emit. No person in it exists."""
