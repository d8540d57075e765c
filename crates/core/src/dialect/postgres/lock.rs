//! What a statement locks, scans and rewrites: its hazards.
