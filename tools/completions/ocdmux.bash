# Completion of ocdmux in bash. It asks the program itself, by `ocdmux complete`, so that it knows every command and
# option that there is. Goes into share/bash-completion/completions/ocdmux, or source it.
_ocdmux() {
    local current=${COMP_WORDS[COMP_CWORD]} line
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    [[ $current == "=" ]] && current=""
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files)
                compopt -o filenames 2>/dev/null
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
                ;;
            :commands)
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$current")
                ;;
            *)
                COMPREPLY+=("${line%%$'\t'*}")
                ;;
        esac
    done < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
}
complete -F _ocdmux ocdmux
