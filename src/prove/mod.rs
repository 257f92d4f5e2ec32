//! The contract of an exercise: untouched it fails, solutions pass, wrong answers are refused, nothing is left.
