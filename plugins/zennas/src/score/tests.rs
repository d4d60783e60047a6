//! Properties of the score that need no oracle.
