#include <stdio.h>

#include "ops/cli.h"
#include "ops/words.h"

APPLET(completion)
const struct opt completion_opts[] = {{0}};
const char completion_text[] = "Usage: silktalk completion bash|zsh|fish\n"
                               "Examples:\n"
                               "  silktalk completion bash > /etc/bash_completion.d/silktalk\n"
                               "  source <(silktalk completion zsh)\n";

static void verbs(void) {
    for (const struct applet *a = applets; a->name != NULL; a++) printf("%s ", a->name);
}

static void options(const struct opt *o) {
    for (; o->name != NULL; o++) printf("--%s ", o->name);
}

static void subverbs(const struct applet *a) {
    const char *const *w = words_of(a->name);
    for (; w != NULL && *w != NULL; w++) printf("%s ", *w);
}

static void keys(void) {
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) printf("%s ", config_rows[i].name);
}

static void bash(void) {
    printf("_silktalk() {\n  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=\n"
           "  if [ \"$COMP_CWORD\" = 1 ]; then words='");
    verbs();
    printf("'\n  else case $verb in\n");
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("    %s) words='", a->name);
        subverbs(a);
        options(a->opts);
        options(common_opts);
        printf("'");
        if (strcmp(a->name, "config") == 0) {
            printf("; case ${COMP_WORDS[2]} in get|set|unset) [ \"$COMP_CWORD\" = 3 ] && words='");
            keys();
            printf("';; esac");
        }
        if (strcmp(a->name, "help") == 0) {
            printf("; words=\"$words ");
            verbs();
            printf("\"");
        }
        printf(" ;;\n");
    }
    printf("  esac; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n  [ ${#COMPREPLY[@]} = 0 ] && "
           "COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "}\ncomplete -F _silktalk silktalk\n");
}

static void zsh(void) {
    printf("#compdef silktalk\n_silktalk() {\n  local -a verbs\n  verbs=(\n");
    for (const struct applet *a = applets; a->name != NULL; a++) printf("    '%s:%s'\n", a->name, a->line);
    printf("  )\n  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n  case $words[2] in\n");
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("    %s) compadd -- ", a->name);
        subverbs(a);
        options(a->opts);
        options(common_opts);
        if (strcmp(a->name, "config") == 0) keys();
        printf(";;\n");
    }
    printf("  esac\n  _files\n}\ncompdef _silktalk silktalk\n");
}

static void fish(void) {
    for (const struct applet *a = applets; a->name != NULL; a++) {
        printf("complete -c silktalk -n __fish_use_subcommand -a %s -d '%s'\n", a->name, a->line);
        for (const struct opt *o = a->opts; o->name != NULL; o++) {
            printf("complete -c silktalk -n '__fish_seen_subcommand_from %s' -l %s", a->name, o->name);
            if (o->letter != 0) printf(" -s %c", o->letter);
            if (o->value != NULL && o->value[0] != '[') printf(" -r");
            printf("\n");
        }
        const char *const *w = words_of(a->name);
        for (; w != NULL && *w != NULL; w++)
            printf("complete -c silktalk -n '__fish_seen_subcommand_from %s' -a %s\n", a->name, *w);
    }
    for (const struct opt *o = common_opts; o->name != NULL; o++)
        printf("complete -c silktalk -l %s -d '%s'\n", o->name, o->text);
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
