//! Lessons, exercises and quizzes: model, loader, lint.
