"""What decides: pure code without Faust, network or wall clock. Time comes from the event."""
