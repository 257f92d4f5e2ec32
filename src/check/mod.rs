//! Verdicts over live kernel state, and the witness. Changes nothing, knows no engine.
