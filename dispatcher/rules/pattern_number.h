/* JSON number literals as event patterns compare them: by value as IEEE doubles, unless the literal
 * says more than a double can hold. Not arithmetic. Independent of the locale. */
#ifndef DISPATCHER_RULES_PATTERN_NUMBER_H
#define DISPATCHER_RULES_PATTERN_NUMBER_H

#include "bytes.h"

/* The double nearest to a valid JSON number literal; an infinity beyond the range; zero is +0. */
double number_value(struct bytes literal);

/* Whether the literal is `value` (its number_value()) and nothing else: finite, and its decimal
 * value equal to the shortest decimal that reads back as that double. Everything of up to 15
 * significant digits in the normal range is. */
bool number_is_comparable(struct bytes literal, double value);

#endif
