//! Under construction in a branch of its own.
