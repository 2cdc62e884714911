//! The single steps out of which init builds a level. Each acts on the calling process and knows nothing of the others,
//! so that every level takes those that it needs, in the order that works:
//! namespaces, mounts, network, Landlock rules, bounding set, filter, identity.

pub mod capabilities;
pub mod descriptors;
pub mod filter;
pub mod holds;
pub mod identity;
pub mod landlock;
pub mod limits;
pub mod mounts;
pub mod network;
pub mod scratch;
pub mod services;
pub mod terminals;
