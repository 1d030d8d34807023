/* Amounts as people read them: bytes in binary units, speeds, times left, counts. Made in one place
 * so that the whole window says the same thing in the same words. All return strings to g_free().
 */
#ifndef HEARTH_AMOUNT_H
#define HEARTH_AMOUNT_H

#include <glib.h>
#include <stdint.h>

char *hearth_amount_bytes(uint64_t bytes);                   /* "1.3 GiB" */
char *hearth_amount_bytes_of(uint64_t part, uint64_t whole); /* "12.3 of 15.6 GiB" */
char *hearth_amount_speed(double bytes_per_second);          /* "850.0 MiB/s" */
char *hearth_amount_rate(double tokens_per_second);          /* "9.8 tok/s", "254 tok/s" */
char *hearth_amount_count(gint64 n);                         /* "163,840" */
char *hearth_amount_decimal(double n);                       /* "9.8", with one place */
char *hearth_amount_count_of(gint64 part, gint64 whole);     /* "512 of 4,096" */
char *hearth_amount_tokens(gint64 n);                        /* "4,096 tokens" */
char *hearth_amount_parameters(uint64_t n);                  /* "671B", "13.4M" */
char *hearth_amount_seconds_left(double seconds);            /* "7 minutes left"; NULL: unknown */
char *hearth_amount_duration(double seconds);                /* "7 minutes", rounded */
char *hearth_amount_rough_rate(double tokens_per_second);    /* "9.4", "84", "1,200": a forecast */

#endif
