//! The book: an mdBook made from the course and the engine (mdBook 0.5 as a library).
