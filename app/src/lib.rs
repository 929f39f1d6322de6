//! What people write their app against.
