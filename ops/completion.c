/* Completion scripts, made of the tables of verbs, options, second words and configuration keys. Peers are
 * asked of the running node; only names of plain characters come through (they become words of a shell). */
#include <stdio.h>

#include "ops/cli.h"
#include "ops/words.h"

APPLET(completion)
const struct opt completion_opts[] = {{0}};
const char completion_text[] =
    "Usage: silktalk completion bash|zsh|fish\n"
    "Completes verbs, options, configuration keys, files and, from the node, peers.\n"
    "Examples:\n"
    "  silktalk completion bash > /etc/bash_completion.d/silktalk\n"
    "  source <(silktalk completion zsh)\n"
    "  silktalk completion fish > ~/.config/fish/completions/silktalk.fish\n";

#define PEERS_OF                                                                                             \
    "peers --all --json --timeout 1s 2>/dev/null | grep -oE '\"(name|peer_id)\":\"[A-Za-z0-9._-]+\"' | "     \
    "cut -d'\"' -f4 | sort -u"

static void verbs(void) {
    for (const struct applet *a = applets; a->name != NULL; a++)
        if ((a->flags & AP_HIDDEN) == 0) printf("%s ", a->name);
}

static void options(const struct opt *o) {
    for (; o->name != NULL; o++) {
        if (o->letter != 0) printf("-%c ", o->letter);
        printf("--%s ", o->name);
    }
}

static void second_words(const struct applet *a) {
    for (const struct words_row *w = words_rows; w->verb != NULL; w++)
        if (strcmp(w->verb, a->name) == 0 && w->word != NULL) printf("%s ", w->word);
}

/* The words of one kind, but peers and files, which the shell looks for. */
static void things(enum words_next next) {
    switch (next) {
    case NEXT_KEY:
        for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) printf("%s ", config_rows[i].name);
        break;
    case NEXT_VERB: verbs(); break;
    case NEXT_PAGE:
        printf("silktalk silktalk.ini silktalk-ops silktalkd ");
        for (const struct applet *a = applets; a->name != NULL; a++) printf("silktalk-%s ", a->name);
        break;
    case NEXT_LEVEL: printf("debug info warn error "); break;
    case NEXT_NOTHING:
    case NEXT_PEER:
    case NEXT_FILE:
    case NEXT_KINDS: break;
    }
}

static const char *const kind_names[NEXT_KINDS] = {"none", "peer", "key", "verb", "page", "level", "file"};

static bool takes_word(const struct opt *o) {
    return o->value != NULL && o->value[0] != '[';
}

static const char *kind_of(const struct opt *o) {
    if (strcmp(o->value, "PEER") == 0) return "peer";
    return strcmp(o->value, "FILE") == 0 || strcmp(o->value, "DIR") == 0 || strcmp(o->value, "PATH") == 0 ||
                   strcmp(o->value, "PROGRAM") == 0
               ? "file"
               : "none";
}

/* "VERB:OPTION" patterns and what the option's value is. */
static void option_kinds(const char *verb, const struct opt *o) {
    for (; o->name != NULL; o++) {
        if (!takes_word(o)) continue;
        printf("    %s:--%s", verb, o->name);
        if (o->letter != 0) printf("|%s:-%c", verb, o->letter);
        printf(") kind=%s ;;\n", kind_of(o));
    }
}

/* bash and zsh share the walk over the words. It counts from 0, as bash does: emulate is zsh's. */
#define COUNT_FROM_0 "    [ -n \"${ZSH_VERSION:-}\" ] && emulate -L ksh\n"

static void walk_functions(void) {
    printf("_silktalk_peers() {\n" COUNT_FROM_0 "    \"${line[0]}\" \"${place[@]}\" " PEERS_OF "\n}\n"
           "_silktalk_kind() { # verb:option: what its value is; empty: it takes none\n    kind=\n    case "
           "$1 in\n");
    option_kinds("*", common_opts);
    for (const struct applet *a = applets; a->name != NULL; a++) option_kinds(a->name, a->opts);
    printf("    esac\n}\n_silktalk_offer() { # offer, kind: for the word at place $at of $line\n" COUNT_FROM_0
           "    local i w n=0 verb= sub=\n    place=() offer= kind= cur=${line[at]}\n"
           "    for ((i = 1; i < at; i++)); do\n        w=${line[i]} kind=\n        case $w in\n"
           "        -*) _silktalk_kind \"$verb:$w\"\n            [ -z \"$kind\" ] && continue\n"
           "            i=$((i + 1))\n            [ \"${line[i]}\" = = ] && i=$((i + 1))\n"
           "            [ $i -ge $at ] && break\n"
           "            case $w in --home|--config|--socket) place+=(\"$w\" \"${line[i]}\") ;; esac ;;\n"
           "        *) if [ -z \"$verb\" ]; then verb=$w; else n=$((n + 1)); [ $n = 1 ] && sub=$w; fi ;;\n"
           "        esac\n        kind=\n    done\n    [ -n \"$kind\" ] && return\n");
}

static void walk(void) {
    walk_functions();
    printf("    if [ -z \"$verb\" ]; then\n        offer='");
    verbs();
    options(common_opts);
    printf("'\n        return\n    fi\n    case $cur in\n    -*)\n        case $verb in\n");
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("        %s) offer='", a->name);
        options(a->opts);
        options(common_opts);
        printf("' ;;\n");
    }
    printf("        esac\n        return ;;\n    esac\n    if [ $n = 0 ]; then\n        case $verb in\n");
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("        %s) offer='", a->name);
        second_words(a);
        printf("' ;;\n");
    }
    printf("        esac\n    fi\n    case $verb/$sub in\n");
    for (const struct words_row *w = words_rows; w->verb != NULL; w++)
        if (w->next != NEXT_NOTHING)
            printf("    %s/%s) kind=%s ;;\n", w->verb, w->word == NULL ? "*" : w->word, kind_names[w->next]);
    printf("    esac\n    case $kind in\n");
    for (int k = NEXT_KEY; k <= NEXT_LEVEL; k++) {
        printf("    %s) [ $n -le 1 ] && offer='", kind_names[k]);
        things((enum words_next)k);
        printf("' ;;\n");
    }
    printf("    esac\n}\n");
}

static void bash(void) {
    printf("# bash completion of silktalk\n");
    walk();
    printf("_silktalk() {\n    local cur offer kind at=$COMP_CWORD\n    local -a place "
           "line=(\"${COMP_WORDS[@]}\")\n"
           "    _silktalk_offer\n    [ \"$kind\" = peer ] && offer=\"$offer $(_silktalk_peers)\"\n"
           "    COMPREPLY=($(compgen -W \"$offer\" -- \"$cur\"))\n"
           "    if [ \"$kind\" = file ]; then\n        compopt -o filenames 2>/dev/null\n"
           "        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n    return 0\n}\n"
           "complete -F _silktalk silktalk\n");
}

static void zsh(void) {
    printf("#compdef silktalk\n# zsh completion of silktalk\n");
    walk();
    printf("_silktalk() {\n    local cur offer kind at=$((CURRENT - 1))\n    local -a place line\n"
           "    line=(\"${words[@]}\")\n    _silktalk_offer\n"
           "    [[ $kind = peer ]] && offer=\"$offer $(_silktalk_peers)\"\n"
           "    if [[ $kind = file ]]; then _files; else compadd -- ${=offer}; fi\n}\n"
           "compdef _silktalk silktalk\n");
}

/* A text in single quotes. */
static void quoted(const char *text) {
    putchar('\'');
    for (; *text != 0; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
    putchar('\'');
}

static void fish_options(const char *condition, const struct opt *o) {
    for (; o->name != NULL; o++) {
        printf("complete -c silktalk%s -l %s", condition, o->name);
        if (o->letter != 0) printf(" -s %c", o->letter);
        if (takes_word(o))
            printf("%s", strcmp(kind_of(o), "file") == 0   ? " -r -F"
                         : strcmp(kind_of(o), "peer") == 0 ? " -x -a '(__silktalk_peers)'"
                                                           : " -x");
        printf(" -d ");
        quoted(o->text);
        printf("\n");
    }
}

static void fish_words(const struct applet *a) {
    bool some = false;
    for (const struct words_row *w = words_rows; w->verb != NULL; w++) {
        if (strcmp(w->verb, a->name) != 0) continue;
        some |= w->word != NULL;
        if (w->next == NEXT_NOTHING) continue;
        printf("complete -c silktalk -n '__fish_seen_subcommand_from %s", a->name);
        if (w->word != NULL) printf("; and __fish_seen_subcommand_from %s", w->word);
        printf("'%s '", w->next == NEXT_FILE ? " -F -a" : " -a");
        if (w->next == NEXT_PEER) printf("(__silktalk_peers)");
        things(w->next);
        printf("'\n");
    }
    if (!some) return;
    printf("complete -c silktalk -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ",
           a->name);
    second_words(a);
    printf("' -a '");
    second_words(a);
    printf("'\n");
}

static void fish(void) {
    char condition[128];
    printf("# fish completion of silktalk\nfunction __silktalk_peers\n    silktalk " PEERS_OF "\nend\n"
           "complete -c silktalk -f\n");
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("complete -c silktalk -n __fish_use_subcommand -a %s -d ", a->name);
        quoted(a->line);
        printf("\n");
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", a->name);
        fish_options(condition, a->opts);
        fish_words(a);
    }
    fish_options("", common_opts);
}

int completion_main(struct cli *c) {
    const char *shell = c->n_args == 1 ? c->args[0] : "";
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else
        return cli_usage(c, "completion needs bash, zsh or fish");
    return 0;
}
