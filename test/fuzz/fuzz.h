/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: a fuzz target is one function over bytes. Linked with libFuzzer it is fuzzed; linked with
 * fuzz_main.c it runs over files, which is how the seeds and former findings are checked with any
 * compiler.
 */
#ifndef HF_TEST_FUZZ_H
#define HF_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
