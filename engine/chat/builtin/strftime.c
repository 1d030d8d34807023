/* datetime.strftime as it is on Linux in the C locale, with glibc's flags (%-d, %_H, %^a). */
#include <stdio.h>
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/value/str.h"

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int day_of_year(EngTime t) /* from 0 */
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[t.month - 1] + t.day - 1 + (t.month > 2 && is_leap(t.year));
}

static int weekday(EngTime t) /* Sunday: 0 */
{
    int y = t.year - 1;
    return (1 + y * 365 + y / 4 - y / 100 + y / 400 + day_of_year(t)) % 7;
}

static int64_t epoch_seconds(EngTime t)
{
    int64_t y = t.year - 1;
    int64_t day = y * 365 + y / 4 - y / 100 + y / 400 + day_of_year(t) - 719162;
    return day * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
}

/* ISO 8601: the week that holds the year's first Thursday is week 1. */
static int iso_week(EngTime t, int *ret_year)
{
    int monday_based = (weekday(t) + 6) % 7, week = (day_of_year(t) - monday_based + 10) / 7;
    *ret_year = t.year;
    EngTime last = {.year = t.year - (week < 1), .month = 12, .day = 31};
    int last_day = (weekday(last) + 6) % 7; /* a year that ends on Thursday … */
    bool long_year = last_day == 3 || (last_day == 4 && is_leap(last.year));
    if (week < 1) {
        *ret_year = t.year - 1;
        return long_year ? 53 : 52;
    }
    if (week == 53 && !long_year) {
        *ret_year = t.year + 1;
        return 1;
    }
    return week;
}

typedef struct {
    EngRun *run;
    EngText *out;
    EngTime t;
    char pad; /* flag: '-', '_', '0' or 0 */
    bool upper;
    int width;
} Field;

static void number(Field *f, int64_t value, int width, char pad)
{
    char digits[24];
    if (f->pad) pad = f->pad == '_' ? ' ' : f->pad;
    if (f->width > width) width = f->width;
    int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
    if (pad != '-' && n < width) eng_text_fill(f->run, f->out, (uint32_t)pad, (size_t)(width - n));
    eng_text_puts(f->run, f->out, digits);
}

static void word(Field *f, const char *s, size_t n)
{
    if (f->width > (int)n)
        eng_text_fill(f->run, f->out, f->pad == '0' ? '0' : ' ', (size_t)f->width - n);
    for (size_t i = 0; i < n; i++)
        eng_text_char(f->run, f->out,
                      (uint32_t)(f->upper && s[i] >= 'a' && s[i] <= 'z' ? s[i] - 32 : s[i]));
}

static void expand(EngRun *run, EngText *out, EngTime t, const char *format, size_t n);

static bool composed(Field *f, char c)
{
    static const struct {
        char c;
        const char *format;
    } forms[] = {{'c', "%a %b %e %H:%M:%S %Y"},
                 {'D', "%m/%d/%y"},
                 {'F', "%Y-%m-%d"},
                 {'T', "%H:%M:%S"},
                 {'R', "%H:%M"},
                 {'r', "%I:%M:%S %p"},
                 {'x', "%m/%d/%y"},
                 {'X', "%H:%M:%S"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].c != c) continue;
        expand(f->run, f->out, f->t, forms[i].format, strlen(forms[i].format));
        return true;
    }
    return false;
}

static bool date_field(Field *f, char c)
{
    EngTime t = f->t;
    int day = day_of_year(t), wday = weekday(t), iso_year, week = iso_week(t, &iso_year);
    switch (c) {
    case 'a': word(f, days[wday], 3); return true;
    case 'A': word(f, days[wday], strlen(days[wday])); return true;
    case 'b':
    case 'h': word(f, months[t.month - 1], 3); return true;
    case 'B': word(f, months[t.month - 1], strlen(months[t.month - 1])); return true;
    case 'C': number(f, t.year / 100, 2, '0'); return true;
    case 'd': number(f, t.day, 2, '0'); return true;
    case 'e': number(f, t.day, 2, ' '); return true;
    case 'g': number(f, iso_year % 100, 2, '0'); return true;
    case 'G': number(f, iso_year, 0, '0'); return true;
    case 'j': number(f, day + 1, 3, '0'); return true;
    case 'm': number(f, t.month, 2, '0'); return true;
    case 'u': number(f, wday ? wday : 7, 1, '0'); return true;
    case 'U': number(f, (day + 7 - wday) / 7, 2, '0'); return true;
    case 'V': number(f, week, 2, '0'); return true;
    case 'w': number(f, wday, 1, '0'); return true;
    case 'W': number(f, (day + 7 - (wday + 6) % 7) / 7, 2, '0'); return true;
    case 'y': number(f, t.year % 100, 2, '0'); return true;
    case 'Y': number(f, t.year, 0, '0'); return true;
    default: return false;
    }
}

static bool time_field(Field *f, char c)
{
    EngTime t = f->t;
    int hour12 = t.hour % 12 ? t.hour % 12 : 12;
    switch (c) {
    case 'f': eng_text_puts(f->run, f->out, "000000"); return true;
    case 'H': number(f, t.hour, 2, '0'); return true;
    case 'I': number(f, hour12, 2, '0'); return true;
    case 'k': number(f, t.hour, 2, ' '); return true;
    case 'l': number(f, hour12, 2, ' '); return true;
    case 'M': number(f, t.minute, 2, '0'); return true;
    case 'n': word(f, "\n", 1); return true;
    case 'p': word(f, t.hour < 12 ? "AM" : "PM", 2); return true;
    case 'P': word(f, t.hour < 12 ? "am" : "pm", 2); return true;
    case 's': number(f, epoch_seconds(t), 1, '0'); return true;
    case 'S': number(f, t.second, 2, '0'); return true;
    case 't': word(f, "\t", 1); return true;
    case 'z':
    case 'Z': return true; /* no time zone */
    case '%': word(f, "%", 1); return true;
    default: return false;
    }
}

static void expand(EngRun *run, EngText *out, EngTime t, const char *format, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t from = at;
        if (format[at++] != '%') {
            eng_text_add(run, out, format + from, 1);
            continue;
        }
        Field f = {.run = run, .out = out, .t = t};
        for (; at < n && format[at] && strchr("-_0^#", format[at]); at++) {
            if (format[at] == '^')
                f.upper = true;
            else if (format[at] != '#')
                f.pad = format[at];
        }
        while (at < n && format[at] >= '0' && format[at] <= '9' && f.width < 1000)
            f.width = f.width * 10 + (format[at++] - '0');
        if (at < n && (format[at] == 'E' || format[at] == 'O')) at++;
        char c = at < n ? format[at++] : 0;
        if (!composed(&f, c) && !date_field(&f, c) && !time_field(&f, c))
            eng_text_add(run, out, format + from, at - from);
    }
}

EngStr *eng_builtin_strftime(EngRun *run, EngTime now, const EngStr *format)
{
    EngText out = {0};
    if (now.month < 1 || now.month > 12) now.month = 1;
    expand(run, &out, now, format->data, format->n);
    return eng_text_take(run, &out);
}
