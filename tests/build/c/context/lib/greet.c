#include "greet.h"

const char *greeting(void) { return "greetings from a library"; }
