//! What must hold before the first write; one file per check.
