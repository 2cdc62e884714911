//! What a script asks for.
