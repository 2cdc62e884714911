//! Atomic Red Team's YAML.
