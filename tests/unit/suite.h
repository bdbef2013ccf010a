/* The frame of a test program: one suite, run without forking, non-zero exit on failure. */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Defines main(): TEST_PROGRAM("buffer", test_one, test_two) */
#define TEST_PROGRAM(name, ...)                                       \
    int main(void)                                                    \
    {                                                                 \
        const TTest *const tests[] = {__VA_ARGS__};                   \
        Suite *suite = suite_create(name);                            \
        TCase *tcase = tcase_create(name);                            \
        tcase_set_timeout(tcase, 60);                                 \
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) \
            tcase_add_test(tcase, tests[i]);                          \
        suite_add_tcase(suite, tcase);                                \
        SRunner *runner = srunner_create(suite);                      \
        srunner_run_all(runner, CK_NORMAL);                           \
        int failed = srunner_ntests_failed(runner);                   \
        srunner_free(runner);                                         \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                  \
    }

#endif
