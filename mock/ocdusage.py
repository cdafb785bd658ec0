"""The usage lines that OpenOCD 0.12.0 logs when a command is used wrongly.

OpenOCD lists every command whose name, usage or help contains the name of the
one that failed, so a text may speak of several commands.  Recorded from the
real program with the virtual board's configuration.
"""

from __future__ import annotations

from typing import Dict

USAGE: Dict[str, str] = {
    'version': (
        "  jtag newtap basename tap_type '-irlen' count ['-enable'|'-disable']\n"
        "            ['-expected_id' number] ['-ignore-version'] ['-ignore-bypass']\n"
        "            ['-ircapture' number] ['-mask' number]\n"
        'version\n'
    ),
    'echo': 'echo [-n] string\n',
    'targets': (
        'init\n'
        'reset [run|halt|init]\n'
        '  target init\n'
        '  target names\n'
        'targets [target]\n'
    ),
    'target': (
        "  dap info [ap_num | 'root']\n"
        'fast_load\n'
        '  flash bank bank_id driver_name base_address size_bytes chip_width_bytes\n'
        '            bus_width_bytes target [driver_options ...]\n'
        'gdb_save_tdesc\n'
        'gdb_sync\n'
        "gdb_target_description ('enable'|'disable')\n"
        'get_reg list\n'
        'halt [milliseconds]\n'
        'init\n'
        '  nand device bank_id driver target [driver_options ...]\n'
        "poll ['on'|'off']\n"
        "read_memory address width count ['phys']\n"
        "reg [(register_number|register_name) [(value|'force')]]\n"
        'reset [run|halt|init]\n'
        'resume [address]\n'
        'set_reg dict\n'
        'soft_reset_halt\n'
        'target\n'
        "  target create name type '-chain-position' name [options ...]\n"
        '  target current\n'
        '  target init\n'
        '  target names\n'
        '  target smp targetname1 targetname2 ...\n'
        '  target types\n'
        'target_request\n'
        "  target_request debugmsgs ['enable'|'charmsg'|'disable']\n"
        'targets [target]\n'
        'test_mem_access size\n'
        'vb.cpu\n'
        '  vb.cpu array2mem arrayname bitwidth address count\n'
        '  vb.cpu cget target_attribute\n'
        '  vb.cpu configure [target_attribute ...]\n'
        '  vb.cpu curstate\n'
        '  vb.cpu eventlist\n'
        '  vb.cpu get_reg list\n'
        '  vb.cpu mdb address [count]\n'
        '  vb.cpu mdd address [count]\n'
        '  vb.cpu mdh address [count]\n'
        '  vb.cpu mdw address [count]\n'
        '  vb.cpu mem2array arrayname bitwidth address count\n'
        '  vb.cpu mwb address data [count]\n'
        '  vb.cpu mwd address data [count]\n'
        '  vb.cpu mwh address data [count]\n'
        '  vb.cpu mww address data [count]\n'
        "  vb.cpu read_memory address width count ['phys']\n"
        '  vb.cpu rtt\n'
        '  vb.cpu set_reg dict\n'
        "  vb.cpu write_memory address width data ['phys']\n"
        "write_memory address width data ['phys']\n"
    ),
    'target names': '  target names\n',
    'target current': '  target current\n',
    'vb.cpu curstate': '  vb.cpu curstate\n',
    'vb.cpu was_examined': '  vb.cpu was_examined\n',
    'vb.cpu cget': '  vb.cpu cget target_attribute\n',
    'vb.cpu read_memory': "  vb.cpu read_memory address width count ['phys']\n",
    'vb.cpu write_memory': "  vb.cpu write_memory address width data ['phys']\n",
    'vb.cpu get_reg': '  vb.cpu get_reg list\n',
    'vb.cpu set_reg': '  vb.cpu set_reg dict\n',
    'halt': (
        'halt [milliseconds]\n'
        'reset [run|halt|init]\n'
        'soft_reset_halt\n'
        '  vb.cpu arp_halt\n'
        '  vb.cpu arp_halt_gdb\n'
        'wait_halt [milliseconds]\n'
    ),
    'wait_halt': 'wait_halt [milliseconds]\n',
    'resume': 'resume [address]\n',
    'step': (
        "  cortex_m maskisr ['auto'|'on'|'off'|'steponly']\n"
        'gdb_sync\n'
        'step [address]\n'
        "    vb.cpu cortex_m maskisr ['auto'|'on'|'off'|'steponly']\n"
    ),
    'reset': (
        "  cortex_m reset_config ['sysresetreq'|'vectreset']\n"
        '  jtag arp_init-reset\n'
        'power_restore\n'
        'program <filename> [address] [pre-verify] [verify] [reset] [exit]\n'
        'reset [run|halt|init]\n'
        'reset_config [none|trst_only|srst_only|trst_and_srst]\n'
        '          [srst_pulls_trst|trst_pulls_srst|combined|separate]\n'
        '          [srst_gates_jtag|srst_nogate] [trst_push_pull|trst_open_drain]\n'
        '          [srst_push_pull|srst_open_drain]\n'
        '          [connect_deassert_srst|connect_assert_srst]\n'
        "reset_nag ['enable'|'disable']\n"
        'soft_reset_halt\n'
        'srst_deasserted\n'
        "  vb.cpu arp_examine ['allow-defer']\n"
        '  vb.cpu arp_halt\n'
        '  vb.cpu arp_halt_gdb\n'
        '  vb.cpu arp_poll\n'
        '  vb.cpu arp_reset\n'
        '  vb.cpu arp_waitstate\n'
        "    vb.cpu cortex_m reset_config ['sysresetreq'|'vectreset']\n"
        '  vb.cpu examine_deferred\n'
        '  vb.cpu was_examined\n'
    ),
    'reg': (
        '  cti names\n'
        '  dap init\n'
        '  dap names\n'
        '  flash write_image [erase] [unlock] filename [offset [file_type]]\n'
        "gdb_report_register_access_error ('enable'|'disable')\n"
        'gdb_sync\n'
        'get_reg list\n'
        "reg [(register_number|register_name) [(value|'force')]]\n"
        'set_reg dict\n'
        '  swo names\n'
        '  tpiu names\n'
        '  vb.cpu get_reg list\n'
        '  vb.cpu set_reg dict\n'
        '  vb.dap apid [ap_num]\n'
        '  vb.dap apreg ap_num reg [value]\n'
        '  vb.dap dpreg reg [value]\n'
    ),
    'get_reg': (
        'get_reg list\n'
        '  vb.cpu get_reg list\n'
    ),
    'set_reg': (
        'set_reg dict\n'
        '  vb.cpu set_reg dict\n'
    ),
    'read_memory': (
        "read_memory address width count ['phys']\n"
        "  vb.cpu read_memory address width count ['phys']\n"
    ),
    'write_memory': (
        "  vb.cpu write_memory address width data ['phys']\n"
        "write_memory address width data ['phys']\n"
    ),
    'mdw': (
        '  flash mdw address [count]\n'
        "mdw ['phys'] address [count]\n"
        '  vb.cpu mdw address [count]\n'
    ),
    'mdh': (
        '  flash mdh address [count]\n'
        "mdh ['phys'] address [count]\n"
        '  vb.cpu mdh address [count]\n'
    ),
    'mdb': (
        '  flash mdb address [count]\n'
        "mdb ['phys'] address [count]\n"
        '  vb.cpu mdb address [count]\n'
    ),
    'mww': (
        "mww ['phys'] address value [count]\n"
        '  vb.cpu mww address data [count]\n'
    ),
    'mwh': (
        "mwh ['phys'] address value [count]\n"
        '  vb.cpu mwh address data [count]\n'
    ),
    'mwb': (
        "mwb ['phys'] address value [count]\n"
        '  vb.cpu mwb address data [count]\n'
    ),
    'flash': (
        'flash\n'
        '  flash bank bank_id driver_name base_address size_bytes chip_width_bytes\n'
        '            bus_width_bytes target [driver_options ...]\n'
        '  flash banks\n'
        "  flash erase_address ['pad'] ['unlock'] address length\n"
        '  flash erase_check bank_id\n'
        "  flash erase_sector bank_id first_sector_num (last_sector_num|'last')\n"
        '  flash fillb address value n\n'
        '  flash filld address value n\n'
        '  flash fillh address value n\n'
        '  flash fillw address value n\n'
        "  flash info bank_id ['sectors']\n"
        '  flash init\n'
        '  flash list\n'
        '  flash mdb address [count]\n'
        '  flash mdh address [count]\n'
        '  flash mdw address [count]\n'
        '  flash padded_value bank_id value\n'
        '  flash probe bank_id\n'
        "  flash protect bank_id first_block [last_block|'last'] ('on'|'off')\n"
        '  flash read_bank bank_id filename [offset [length]]\n'
        '  flash verify_bank bank_id filename [offset]\n'
        '  flash verify_image filename [offset [file_type]]\n'
        '  flash write_bank bank_id filename [offset]\n'
        '  flash write_image [erase] [unlock] filename [offset [file_type]]\n'
        "gdb_flash_program ('enable'|'disable')\n"
        'nand\n'
        'program <filename> [address] [pre-verify] [verify] [reset] [exit]\n'
        'stm32f1x\n'
        '  stm32f1x lock bank_id\n'
        '  stm32f1x mass_erase bank_id\n'
        '  stm32f1x unlock bank_id\n'
    ),
    'flash banks': (
        '  flash banks\n'
        '  flash list\n'
    ),
    'flash list': '  flash list\n',
    'flash probe': '  flash probe bank_id\n',
    'flash info': (
        "  flash info bank_id ['sectors']\n"
        "  flash protect bank_id first_block [last_block|'last'] ('on'|'off')\n"
    ),
    'flash erase_check': '  flash erase_check bank_id\n',
    'flash erase_sector': "  flash erase_sector bank_id first_sector_num (last_sector_num|'last')\n",
    'flash erase_address': "  flash erase_address ['pad'] ['unlock'] address length\n",
    'flash protect': "  flash protect bank_id first_block [last_block|'last'] ('on'|'off')\n",
    'flash write_bank': '  flash write_bank bank_id filename [offset]\n',
    'flash read_bank': '  flash read_bank bank_id filename [offset [length]]\n',
    'flash verify_bank': '  flash verify_bank bank_id filename [offset]\n',
    'flash verify_image': '  flash verify_image filename [offset [file_type]]\n',
    'flash write_image': '  flash write_image [erase] [unlock] filename [offset [file_type]]\n',
    'flash fillw': '  flash fillw address value n\n',
    'flash fillh': '  flash fillh address value n\n',
    'flash fillb': '  flash fillb address value n\n',
    'flash filld': '  flash filld address value n\n',
    'flash mdw': '  flash mdw address [count]\n',
    'flash mdh': '  flash mdh address [count]\n',
    'flash mdb': '  flash mdb address [count]\n',
    'verify_image': (
        '  flash verify_image filename [offset [file_type]]\n'
        'verify_image filename [offset [type]]\n'
        'verify_image_checksum filename [offset [type]]\n'
    ),
    'verify_image_checksum': 'verify_image_checksum filename [offset [type]]\n',
    'load_image': (
        "fast_load_image filename address ['bin'|'ihex'|'elf'|'s19'] [min_address\n"
        '          [max_length]]\n'
        "load_image filename address ['bin'|'ihex'|'elf'|'s19'] [min_address]\n"
        '          [max_length]\n'
    ),
    'dump_image': 'dump_image filename address size\n',
    'sleep': (
        'jtag_flush_queue_sleep [sleep in ms]\n'
        "sleep milliseconds ['busy']\n"
    ),
    'shutdown': 'shutdown\n',
    'poll': (
        "poll ['on'|'off']\n"
        'poll_period\n'
        '  rtt polling_interval [interval]\n'
        '  vb.cpu arp_poll\n'
        '    vb.cpu rtt polling_interval [interval]\n'
    ),
    'adapter name': '  adapter name\n',
    'tcl_notifications': 'tcl_notifications [on|off]\n',
    'tcl_trace': 'tcl_trace [on|off]\n',
    'vb.cpu': (
        'vb.cpu\n'
        '  vb.cpu arm\n'
        "    vb.cpu arm core_state ['arm'|'thumb']\n"
        "    vb.cpu arm disassemble address [count ['thumb']]\n"
        "    vb.cpu arm semihosting ['enable'|'disable']\n"
        '    vb.cpu arm semihosting_basedir [dir]\n'
        '    vb.cpu arm semihosting_cmdline arguments\n'
        "    vb.cpu arm semihosting_fileio ['enable'|'disable']\n"
        '    vb.cpu arm semihosting_read_user_param\n'
        '    vb.cpu arm semihosting_redirect (disable | tcp <port>\n'
        "              ['debug'|'stdio'|'all'])\n"
        "    vb.cpu arm semihosting_resexit ['enable'|'disable']\n"
        "  vb.cpu arp_examine ['allow-defer']\n"
        '  vb.cpu arp_halt\n'
        '  vb.cpu arp_halt_gdb\n'
        '  vb.cpu arp_poll\n'
        '  vb.cpu arp_reset\n'
        '  vb.cpu arp_waitstate\n'
        '  vb.cpu array2mem arrayname bitwidth address count\n'
        '  vb.cpu cget target_attribute\n'
        '  vb.cpu configure [target_attribute ...]\n'
        '  vb.cpu cortex_m\n'
        "    vb.cpu cortex_m maskisr ['auto'|'on'|'off'|'steponly']\n"
        "    vb.cpu cortex_m reset_config ['sysresetreq'|'vectreset']\n"
        "    vb.cpu cortex_m vector_catch ['all'|'none'|('bus_err'|'chk_err'|...)*]\n"
        '  vb.cpu curstate\n'
        '  vb.cpu eventlist\n'
        '  vb.cpu examine_deferred\n'
        '  vb.cpu get_reg list\n'
        '  vb.cpu invoke-event event_name\n'
        '  vb.cpu itm\n'
        '    vb.cpu itm port <port> (0|1|on|off)\n'
        '    vb.cpu itm ports (0|1|on|off)\n'
        '  vb.cpu mdb address [count]\n'
        '  vb.cpu mdd address [count]\n'
        '  vb.cpu mdh address [count]\n'
        '  vb.cpu mdw address [count]\n'
        '  vb.cpu mem2array arrayname bitwidth address count\n'
        '  vb.cpu mwb address data [count]\n'
        '  vb.cpu mwd address data [count]\n'
        '  vb.cpu mwh address data [count]\n'
        '  vb.cpu mww address data [count]\n'
        "  vb.cpu read_memory address width count ['phys']\n"
        '  vb.cpu rtt\n'
        '    vb.cpu rtt channellist\n'
        '    vb.cpu rtt channels\n'
        '    vb.cpu rtt polling_interval [interval]\n'
        '    vb.cpu rtt setup <address> <size> <ID>\n'
        '    vb.cpu rtt start\n'
        '    vb.cpu rtt stop\n'
        '  vb.cpu set_reg dict\n'
        '  vb.cpu tpiu\n'
        '    vb.cpu tpiu config (disable | ((external | internal (<filename> |\n'
        '              <:port> | -)) (sync <port width> | ((manchester | uart)\n'
        '              <formatter enable>)) <TRACECLKIN freq> [<trace freq>]))\n'
        '  vb.cpu was_examined\n'
        "  vb.cpu write_memory address width data ['phys']\n"
    ),
    'adapter': (
        'adapter\n'
        '  adapter assert |deassert [srst|trst [assert|deassert srst|trst]]\n'
        '  adapter deassert |assert [srst|trst [deassert|assert srst|trst]]\n'
        '  adapter driver driver_name\n'
        '  adapter gpio [\n'
        '            \n'
        '            do|tdi|tms|tck|trst|swdio|swdio_dir|swclk|srst|led[gpio_number]\n'
        '            [-chip chip_number] [-active-high|-active-low]\n'
        '            [-push-pull|-open-drain|-open-source]\n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            \n'
        '            e|-pull-up|-pull-down][-init-inactive|-init-active|-init-input]\n'
        '            ]\n'
        '  adapter list\n'
        '  adapter name\n'
        '  adapter serial serial_string\n'
        '  adapter speed [khz]\n'
        '  adapter srst\n'
        '    adapter srst delay [milliseconds]\n'
        '    adapter srst pulse_width [milliseconds]\n'
        '  adapter transports transport ...\n'
        '  adapter usb\n'
        '    adapter usb location [<bus>-port[.port]...]\n'
        'reset_config [none|trst_only|srst_only|trst_and_srst]\n'
        '          [srst_pulls_trst|trst_pulls_srst|combined|separate]\n'
        '          [srst_gates_jtag|srst_nogate] [trst_push_pull|trst_open_drain]\n'
        '          [srst_push_pull|srst_open_drain]\n'
        '          [connect_deassert_srst|connect_assert_srst]\n'
    ),
    'bp': (
        "bp [<address> [<asid>] <length> ['hw'|'hw_ctx']]\n"
        "rbp 'all' | address\n"
    ),
    'rbp': (
        "rbp 'all' | address\n"
    ),
    'wp': (
        'rwp address\n'
        "wp [address length [('r'|'w'|'a') value [mask]]]\n"
    ),
    'rwp': (
        'rwp address\n'
    ),
    'vb.cpu mdw': (
        '  vb.cpu mdw address [count]\n'
    ),
    'vb.cpu mww': (
        '  vb.cpu mww address data [count]\n'
    ),
    'stm32f1x': (
        'stm32f1x\n'
        '  stm32f1x lock bank_id\n'
        '  stm32f1x mass_erase bank_id\n'
        '  stm32f1x options_load bank_id\n'
        '  stm32f1x options_read bank_id\n'
        "  stm32f1x options_write bank_id ('SWWDG'|'HWWDG')\n"
        "            ('RSTSTNDBY'|'NORSTSTNDBY') ('RSTSTOP'|'NORSTSTOP') ('USEROPT'\n"
        '            user_data)\n'
        '  stm32f1x unlock bank_id\n'
    ),
}
