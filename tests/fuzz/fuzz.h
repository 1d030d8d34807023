/* The entry that libFuzzer and replay.c call: any bytes, once; what it does not like must come back
 * as an error. A crash, a leak or a sanitizer's report is the finding. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
