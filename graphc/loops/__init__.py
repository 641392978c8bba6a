"""Loop programs: lowering, fusion, scheduling, printing and verification."""
