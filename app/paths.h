/* Where Hearth keeps what it writes. HEARTH_DATA_DIR moves all of it. */
#ifndef HEARTH_PATHS_H
#define HEARTH_PATHS_H

/* A file in the data folder, which is made when missing (readable by its owner only). The path is
 * the caller's, g_free(). Whether the folder could be made shows when the file is opened. */
char *hearth_paths_data_file(const char *name);

#endif
