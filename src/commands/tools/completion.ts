import { stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';

/** Scripts ask the program itself: `PROGRAM __complete WORD...`, the last word being the one to complete; answers are `value<TAB>about`. */
const scripts: Readonly<Record<string, (program: string, fn: string) => string>> = {
  bash: (program, fn) => `# bash completion for ${program}
_${fn}() {
  local line value words=() cur="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS= read -r line; do
    value="\${line%%$'\\t'*}"
    [ "$value" = ":files" ] && { compopt -o default 2>/dev/null; continue; }
    words+=("$value")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  local IFS=$'\\n'
  for value in "\${words[@]}"; do
    case "$value" in "$cur"*) COMPREPLY+=("$(printf '%q' "$value")") ;; esac
  done
  [ "\${#COMPREPLY[@]}" -eq 1 ] && case "\${COMPREPLY[0]}" in *=|*/) compopt -o nospace 2>/dev/null ;; esac
}
complete -F _${fn} ${program}
`,
  zsh: (program, fn) => `#compdef ${program}
# zsh completion for ${program}
_${fn}() {
  local line value about
  local -a found
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    value="\${line%%$'\\t'*}"
    about="\${line#*$'\\t'}"
    if [[ "$value" == ":files" ]]; then
      _files
    elif [[ -n "$value" ]]; then
      found+=("\${value//:/\\\\:}:$about")
    fi
  done
  (( \${#found} )) && _describe '${program}' found
}
compdef _${fn} ${program}
`,
  fish: (program, fn) => `# fish completion for ${program}
function __${fn}_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
    if string match -q ':files*' -- $line
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c ${program} -f -a '(__${fn}_complete)'
`,
  powershell: (program) => `# PowerShell completion for ${program}
Register-ArgumentCompleter -Native -CommandName '${program}' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  if ($wordToComplete -eq '') { $words += '' }
  & '${program}' __complete @words 2>$null | ForEach-Object {
    $parts = $_ -split "\`t", 2
    if ($parts[0] -ne ':files' -and $parts[0].StartsWith($wordToComplete)) {
      $about = if ($parts.Length -gt 1 -and $parts[1] -ne '') { $parts[1] } else { $parts[0] }
      [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $about)
    }
  }
}
`,
};

export const completion: CommandSpec = {
  name: 'completion',
  args: 'bash|zsh|fish|powershell',
  group: 'Utility commands',
  summary: 'Print a script that completes command lines',
  about: [
    'Prints a script for a shell that completes commands, flags, and what is in the cluster: keys, members, users, roles and leases.',
    'Bash: `source <(tsetcd completion bash)`. Zsh: `tsetcd completion zsh > "${fpath[1]}/_tsetcd"`. Fish: `tsetcd completion fish | source`. PowerShell: `tsetcd completion powershell | Out-String | Invoke-Expression`.',
  ],
  examples: [
    { command: 'completion bash', about: 'the script for bash' },
    { command: 'completion zsh', about: 'the script for zsh' },
  ],
  argCount: 1,
  validArgs: ['bash', 'zsh', 'fish', 'powershell'],
  complete: [['bash', 'zsh', 'fish', 'powershell']],
  run(inv) {
    const program = inv.program.split(' ')[0] ?? inv.program;
    const script = scripts[inv.args[0] ?? ''];
    if (script !== undefined) stdout(script(program, program.replace(/[^A-Za-z0-9_]/g, '_')));
    return 0;
  },
};

export const complete: CommandSpec = {
  name: '__complete',
  summary: 'Answer a completion script',
  hidden: true,
  rawArgs: true,
  async run(inv) {
    const { candidates } = await import('./candidates.ts');
    const list = await candidates(inv.around, inv.args);
    stdout(list.map((c) => `${c.value}\t${c.about}\n`).join(''));
    return 0;
  },
};
