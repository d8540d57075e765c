//! Types: the neutral one of each native type, and back.
