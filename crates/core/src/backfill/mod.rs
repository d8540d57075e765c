//! Filling columns of many rows in batches: what is to be done, how large the next batch is, and what the journal says
//! of the batches before. Pure; the rows are moved by the runner.

pub mod chunk;
pub mod pace;
pub mod task;

pub use chunk::State;
pub use pace::Pace;
pub use task::{Assigned, Task, assignments};
