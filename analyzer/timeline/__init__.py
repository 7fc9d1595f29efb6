"""Timeline: batches of many hosts in any order, in; sealed slices and the coverage ledger, out."""
