#include "language.h"

#include <glib/gi18n.h>
#include <string.h>

static const struct {
    const char *alias, *id, *label;
} aliases[] = {
    {"bash", "sh", "Bash"},
    {"bat", "dosbatch", "Batch"},
    {"c#", "c-sharp", "C#"},
    {"c++", "cpp", "C++"},
    {"cc", "cpp", "C++"},
    {"cmd", "dosbatch", "Batch"},
    {"console", "sh", "Console"},
    {"cs", "c-sharp", "C#"},
    {"csharp", "c-sharp", "C#"},
    {"cu", "cuda", "CUDA"},
    {"cxx", "cpp", "C++"},
    {"dockerfile", "docker", "Dockerfile"},
    {"elisp", "commonlisp", "Emacs Lisp"},
    {"erl", "erlang", "Erlang"},
    {"f#", "fsharp", "F#"},
    {"f90", "fortran", "Fortran"},
    {"fs", "fsharp", "F#"},
    {"golang", "go", "Go"},
    {"h", "chdr", "C Header"},
    {"hpp", "cpphdr", "C++ Header"},
    {"hs", "haskell", "Haskell"},
    {"javascript", "js", "JavaScript"},
    {"jl", "julia", "Julia"},
    {"json5", "json", "JSON"},
    {"jsonc", "json", "JSON"},
    {"kt", "kotlin", "Kotlin"},
    {"kts", "kotlin", "Kotlin"},
    {"lisp", "commonlisp", "Lisp"},
    {"make", "makefile", "Makefile"},
    {"md", "markdown", "Markdown"},
    {"mjs", "js", "JavaScript"},
    {"ml", "ocaml", "OCaml"},
    {"node", "js", "JavaScript"},
    {"objc", "objc", "Objective-C"},
    {"objective-c", "objc", "Objective-C"},
    {"pas", "pascal", "Pascal"},
    {"patch", "diff", "Diff"},
    {"pl", "perl", "Perl"},
    {"plaintext", NULL, N_("Text")},
    {"plain", NULL, N_("Text")},
    {"proto", "proto", "Protobuf"},
    {"ps1", "powershell", "PowerShell"},
    {"pwsh", "powershell", "PowerShell"},
    {"py", "python3", "Python"},
    {"pycon", "python3", "Python"},
    {"python", "python3", "Python"},
    {"rb", "ruby", "Ruby"},
    {"rs", "rust", "Rust"},
    {"scm", "scheme", "Scheme"},
    {"sh", "sh", "Shell"},
    {"protobuf", "proto", "Protobuf"},
    {"shell", "sh", "Shell"},
    {"sol", "solidity", "Solidity"},
    {"sv", "systemverilog", "SystemVerilog"},
    {"svg", "xml", "SVG"},
    {"terminal", "sh", "Console"},
    {"tex", "latex", "LaTeX"},
    {"text", NULL, N_("Text")},
    {"tf", "terraform", "Terraform"},
    {"ts", "typescript", "TypeScript"},
    {"tsx", "typescript-jsx", "TSX"},
    {"txt", NULL, N_("Text")},
    {"vb", "vbnet", "Visual Basic"},
    {"viml", NULL, "Vim"},
    {"yml", "yaml", "YAML"},
    {"zsh", "sh", "Zsh"},
};

/* The first word, in small letters; also of "{.python …}" and "python,linenos". */
static char *first_word(const char *info)
{
    if (!info) return g_strdup("");
    while (*info == '{' || *info == '.' || *info == ' ') info++;
    g_autofree char *word = g_strndup(info, strcspn(info, " \t\n,{}:"));
    return g_utf8_strdown(word, -1);
}

GtkSourceLanguage *hearth_markdown_language(const char *info)
{
    g_autofree char *word = first_word(info);
    const char *id = word;
    for (gsize i = 0; i < G_N_ELEMENTS(aliases); i++)
        if (g_str_equal(aliases[i].alias, word)) id = aliases[i].id;
    if (!id || !*id) return NULL;
    return gtk_source_language_manager_get_language(gtk_source_language_manager_get_default(), id);
}

char *hearth_markdown_language_label(const char *info)
{
    g_autofree char *word = first_word(info);
    for (gsize i = 0; i < G_N_ELEMENTS(aliases); i++)
        if (g_str_equal(aliases[i].alias, word)) return g_strdup(_(aliases[i].label));
    GtkSourceLanguage *language = hearth_markdown_language(info);
    if (language) return g_strdup(gtk_source_language_get_name(language));
    if (!*word || g_utf8_strlen(word, -1) > 24) return g_strdup(_("Code"));
    return g_steal_pointer(&word);
}
