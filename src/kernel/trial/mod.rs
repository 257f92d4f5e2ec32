//! Trials: does this operation work here? Each acts on a child of its own and undoes it.
