//! What guests may call.

pub mod safe_path;
