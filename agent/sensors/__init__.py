"""What observes the host: each sensor turns kernel tables, /proc or answers into raw facts."""
