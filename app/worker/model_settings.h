/* How a model is to be opened: what counts from its next loading on. */
#ifndef HEARTH_WORKER_MODEL_SETTINGS_H
#define HEARTH_WORKER_MODEL_SETTINGS_H

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int threads; /* 0 = one per physical core */
    int context; /* tokens that answers will mostly have, 0 = the engine's choice: a GPU's memory */
    char *kv;    /* is planned for it; a name of eng_kv_type, NULL = "f16" */
    bool no_gpu; /* the CPU alone */
    int gpus;    /* that may be used, as far as there are; 0 = 1, or those that rules name */
    uint64_t vram; /* bytes that may be used of each GPU's memory; 0 = all that is free */
    char *rules;   /* EngPlanSettings.rules; NULL or without a rule = none */
} HearthModelSettings;

/* From the program's settings and the defaults of conversations. hearth_model_settings_clear(). */
HearthModelSettings hearth_model_settings_read(GSettings *program, GSettings *chat);

HearthModelSettings hearth_model_settings_copy(const HearthModelSettings *settings);
void hearth_model_settings_clear(HearthModelSettings *settings);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HearthModelSettings, hearth_model_settings_clear)

/* Lines of rules that say something: neither blank nor a comment. `rules` may be NULL. */
int hearth_model_settings_count_rules(const char *rules);

/* Whether a rule loads a plug-in: planning with it runs foreign code. */
bool hearth_model_settings_has_plugin(const char *rules);

/* Whether both ask the same of a GPU, its memory and the rules. With `context`, of the context that
 * memory is planned for, too. */
bool hearth_model_settings_place_alike(const HearthModelSettings *a, const HearthModelSettings *b,
                                       bool context);

#endif
