/* A scrollable column of rows that keeps its place.
 *
 * Rows may be added, taken away and grow anywhere: what the person reads stays where it is, because
 * the column holds on to a row (the first one in view) and not to a number of pixels; or it holds
 * on to its end, when that is what was in view. The place is worked out while the rows are laid
 * out, once a frame, so that nothing ever jumps and comes back.
 *
 * Belongs in a GtkScrolledWindow. The rows are its children, in the middle, as wide as
 * measure.h says. */
#ifndef HEARTH_CHAT_COLUMN_H
#define HEARTH_CHAT_COLUMN_H

#include <gtk/gtk.h>
#include <stdbool.h>

#define HEARTH_TYPE_CHAT_COLUMN (hearth_chat_column_get_type())
G_DECLARE_FINAL_TYPE(HearthChatColumn, hearth_chat_column, HEARTH, CHAT_COLUMN, GtkWidget)

/* Signals:
 *   "placed"    the rows have their places for the next frame; nothing may change size in it
 *   "settled"   the same, before the frame after, when it was asked for: rows may be added and
 *               removed in it */

GtkWidget *hearth_chat_column_new(void);

void hearth_chat_column_insert(HearthChatColumn *column, GtkWidget *row, guint index);
void hearth_chat_column_remove(HearthChatColumn *column, guint index);
guint hearth_chat_column_get_n_rows(HearthChatColumn *column);
GtkWidget *hearth_chat_column_get_row(HearthChatColumn *column, guint index); /* borrowed */

/* There is more than the last row: the end of the rows is not the end, and is not held on to. */
void hearth_chat_column_set_more_below(HearthChatColumn *column, bool more);

/* Whether the end is in view and stays so. */
bool hearth_chat_column_is_at_end(HearthChatColumn *column);
void hearth_chat_column_hold_end(HearthChatColumn *column);

/* The row that is held and where its top is (px from the top of the view, down); NULL at the end.
 */
GtkWidget *hearth_chat_column_get_place(HearthChatColumn *column, double *ret_y);
void hearth_chat_column_hold(HearthChatColumn *column, GtkWidget *row, double y);

/* How much is laid out above and below what is in view, in px. */
void hearth_chat_column_get_hidden(HearthChatColumn *column, double *ret_above, double *ret_below);
/* The same of one row: negative where it reaches into the view. */
void hearth_chat_column_get_outside(HearthChatColumn *column, guint index, double *ret_above,
                                    double *ret_below);

/* What part of a row is in view, px from its top; false when nothing is. */
bool hearth_chat_column_get_shown(HearthChatColumn *column, guint index, double *ret_from,
                                  double *ret_to);

/* While "placed" runs: there is something to do in "settled". */
void hearth_chat_column_settle(HearthChatColumn *column);

/* Scrolls by so many px, gently unless animations are off. */
void hearth_chat_column_glide(HearthChatColumn *column, double by);

#endif
