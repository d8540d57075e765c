//! Plans: what a run will do, step by step, and how a step is lowered to blocks of statements.
