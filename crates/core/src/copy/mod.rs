//! Rows between engines: readings, canonical encoding and digests.
