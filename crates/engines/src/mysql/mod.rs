//! MySQL and MariaDB sessions.

mod address;
pub mod bulk;
pub mod cancel;
pub mod connect;
mod dump;
mod load;
pub mod session;
mod values;
