-- iommud for Wireshark and tshark 4: recordings as `iommud trace --format pcapng` writes them, and packets of the subprotocol iommud.v1
-- on a websocket. What is in a frame is decoded by Wireshark's own dissector of protobuf, which needs the .proto files: docs/recording.md has the command.

local USER0 = wtap.USER0
local VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
local KINDS = { [1] = "call", [2] = "reply", [3] = "event", [4] = "cancel" }
-- Fields of Record that are what happened: recording.proto.
local HAPPENED = {
  [18] = "arrives", [19] = "is gone", [20] = "is silent for too long", [21] = "alarm", [22] = "command by REST", [23] = "reply to REST",
  [24] = "is opened", [27] = "is closed", [28] = "goes out", [29] = "reads on, or not", [30] = "the service stops", [31] = "the service answers what is left",
  [32] = "keepalive",
}
-- Frames: of the machine, and of a session.
local TOWARDS = { [16] = ">", [17] = "<", [25] = ">", [26] = "<" }
local CLOSED, ASKED, ROOM = 27, 28, 29

-- Field number of each body in Frame: its name, and where it has one the field number of its `function`.
-- bodies: made by proto/generate.mjs
local BODIES = {
  [16] = { "error" },
  [18] = { "hello" },
  [19] = { "hello_reply" },
  [20] = { "subscribe" },
  [21] = { "subscribe_reply" },
  [32] = { "region_read", 1 },
  [33] = { "region_read_reply" },
  [34] = { "region_write", 1 },
  [35] = { "region_write_reply" },
  [36] = { "machine_info" },
  [37] = { "machine_info_reply" },
  [38] = { "function_list" },
  [39] = { "function_list_reply" },
  [40] = { "function_info", 1 },
  [41] = { "function_info_reply" },
  [42] = { "device_claim", 1 },
  [43] = { "device_claim_reply", 2 },
  [44] = { "device_release", 1 },
  [45] = { "device_release_reply" },
  [46] = { "irq_info", 1 },
  [47] = { "irq_info_reply" },
  [48] = { "model_interrupt", 1 },
  [49] = { "model_interrupt_reply" },
  [50] = { "device_interrupt", 1 },
  [51] = { "device_interrupt_reply" },
  [52] = { "irq_remap_set" },
  [53] = { "irq_remap_set_reply" },
  [54] = { "region_write_multi", 1 },
  [55] = { "region_write_multi_reply" },
  [56] = { "bus_read" },
  [57] = { "bus_read_reply" },
  [58] = { "bus_write" },
  [59] = { "bus_write_reply" },
  [60] = { "device_alarm_set", 1 },
  [61] = { "device_alarm_set_reply" },
  [62] = { "function_regions", 1 },
  [63] = { "function_regions_reply" },
  [64] = { "group_info", 1 },
  [65] = { "group_info_reply" },
  [66] = { "domain_alloc" },
  [67] = { "domain_alloc_reply" },
  [68] = { "domain_free" },
  [69] = { "domain_free_reply" },
  [70] = { "domain_attach", 1 },
  [71] = { "domain_attach_reply" },
  [72] = { "domain_detach", 1 },
  [73] = { "domain_detach_reply" },
  [74] = { "pasid_attach", 1 },
  [75] = { "pasid_attach_reply" },
  [76] = { "pasid_detach", 1 },
  [77] = { "pasid_detach_reply" },
  [78] = { "owner_claim", 1 },
  [79] = { "owner_claim_reply" },
  [80] = { "owner_release", 1 },
  [81] = { "owner_release_reply" },
  [82] = { "dma_map", 2 },
  [83] = { "dma_map_reply" },
  [84] = { "dma_unmap", 2 },
  [85] = { "dma_unmap_reply" },
  [86] = { "iova_to_phys", 2 },
  [87] = { "iova_to_phys_reply" },
  [88] = { "fault_records" },
  [89] = { "fault_records_reply" },
  [90] = { "deferred_attach", 1 },
  [91] = { "deferred_attach_reply" },
  [92] = { "call_hold", 3 },
  [93] = { "call_hold_reply" },
  [94] = { "call_release" },
  [95] = { "call_release_reply" },
  [96] = { "calls_held" },
  [97] = { "calls_held_reply" },
  [98] = { "config_read", 1 },
  [99] = { "config_read_reply" },
  [100] = { "dirty_tracking_set", 2 },
  [101] = { "dirty_tracking_set_reply" },
  [102] = { "dirty_read", 2 },
  [103] = { "dirty_read_reply" },
  [104] = { "unmapped_ranges", 2 },
  [105] = { "unmapped_ranges_reply" },
  [106] = { "default_domain_set", 1 },
  [107] = { "default_domain_set_reply" },
  [110] = { "page_response" },
  [111] = { "page_response_reply" },
  [112] = { "model_page_request", 1 },
  [113] = { "model_page_request_reply" },
  [114] = { "page_request", 1 },
  [115] = { "page_request_reply" },
  [116] = { "page_faults" },
  [117] = { "page_faults_reply" },
  [118] = { "report_broken", 1 },
  [119] = { "report_broken_reply" },
  [120] = { "ioas_alloc" },
  [121] = { "ioas_alloc_reply" },
  [122] = { "ioas_free" },
  [123] = { "ioas_free_reply" },
  [124] = { "ioas_map" },
  [125] = { "ioas_map_reply" },
  [126] = { "ioas_copy" },
  [127] = { "ioas_copy_reply" },
  [128] = { "memory_alloc" },
  [129] = { "memory_alloc_reply" },
  [130] = { "memory_free" },
  [131] = { "memory_free_reply" },
  [132] = { "memory_read" },
  [133] = { "memory_read_reply" },
  [134] = { "memory_write" },
  [135] = { "memory_write_reply" },
  [136] = { "memory_claim" },
  [137] = { "memory_claim_reply" },
  [138] = { "memory_release" },
  [139] = { "memory_release_reply" },
  [140] = { "memory_fence" },
  [141] = { "memory_fence_reply" },
  [142] = { "ioas_unmap" },
  [143] = { "ioas_unmap_reply" },
  [144] = { "ioas_ranges" },
  [145] = { "ioas_ranges_reply" },
  [146] = { "ioas_allow" },
  [147] = { "ioas_allow_reply" },
  [148] = { "domain_invalidate" },
  [149] = { "domain_invalidate_reply" },
  [150] = { "memory_dirty" },
  [151] = { "memory_dirty_reply" },
  [152] = { "dirty_log_set" },
  [153] = { "dirty_log_set_reply" },
  [154] = { "dirty_log_read" },
  [155] = { "dirty_log_read_reply" },
  [160] = { "reset_prepare", 1 },
  [161] = { "reset_prepare_reply" },
  [162] = { "reset_trigger", 1 },
  [163] = { "reset_trigger_reply" },
  [164] = { "reset_done", 1 },
  [165] = { "reset_done_reply" },
  [166] = { "reset_function", 1 },
  [167] = { "reset_function_reply" },
  [168] = { "device_reset", 1 },
  [169] = { "device_reset_reply" },
  [170] = { "reset_probe", 1 },
  [171] = { "reset_probe_reply" },
  [172] = { "reset_methods_set", 1 },
  [173] = { "reset_methods_set_reply" },
  [174] = { "bus_reset", 1 },
  [175] = { "bus_reset_reply" },
  [176] = { "cold_reset", 1 },
  [177] = { "cold_reset_reply" },
  [192] = { "dma_read", 1 },
  [193] = { "dma_read_reply" },
  [194] = { "dma_write", 1 },
  [195] = { "dma_write_reply" },
  [196] = { "model_dma", 1 },
  [197] = { "model_dma_reply" },
  [198] = { "dma_release", 1 },
  [199] = { "dma_release_reply" },
  [200] = { "ledger", 1 },
  [201] = { "ledger_reply" },
  [202] = { "fault_arm", 1 },
  [203] = { "fault_arm_reply" },
  [204] = { "fault_disarm", 1 },
  [205] = { "fault_disarm_reply" },
  [206] = { "fault_list" },
  [207] = { "fault_list_reply" },
  [208] = { "error_vote", 1 },
  [209] = { "error_vote_reply" },
  [210] = { "error_recover", 1 },
  [211] = { "error_recover_reply" },
  [212] = { "error_reporting" },
  [213] = { "error_reporting_reply" },
  [214] = { "device_translate", 1 },
  [215] = { "device_translate_reply" },
  [216] = { "device_invalidate", 1 },
  [217] = { "device_invalidate_reply" },
  [218] = { "invalidate_complete", 1 },
  [219] = { "invalidate_complete_reply" },
  [220] = { "dma_list", 1 },
  [221] = { "dma_list_reply" },
  [222] = { "dma_atomic", 1 },
  [223] = { "dma_atomic_reply" },
  [224] = { "clock_info" },
  [225] = { "clock_info_reply" },
  [226] = { "clock_advance" },
  [227] = { "clock_advance_reply" },
  [228] = { "trace_hash" },
  [229] = { "trace_hash_reply" },
  [230] = { "clock_hold" },
  [231] = { "clock_hold_reply" },
  [232] = { "clock_grant" },
  [233] = { "clock_grant_reply" },
  [234] = { "clock_release" },
  [235] = { "clock_release_reply" },
  [240] = { "function_plug" },
  [241] = { "function_plug_reply" },
  [242] = { "function_unplug", 1 },
  [243] = { "function_unplug_reply" },
  [244] = { "slot_signal", 1 },
  [245] = { "slot_signal_reply" },
  [246] = { "device_alarm", 1 },
  [247] = { "device_alarm_reply" },
  [1024] = { "draining" },
  [1025] = { "lost" },
  [1026] = { "fault_event" },
  [1027] = { "interrupt_event", 1 },
  [1028] = { "window_event", 1 },
  [1029] = { "log_event", 2 },
  [1030] = { "trace_event" },
  [1031] = { "intx_event", 1 },
  [1034] = { "hotplug_event", 1 },
  [1037] = { "error_event", 1 },
  [1110] = { "page_fault_event" },
  [1120] = { "driver_callback_event", 1 },
  [1130] = { "memory_event" },
}
-- bodies end

local iommud = Proto("iommud", "iommud")
local fields = iommud.fields
fields.input = ProtoField.uint64("iommud.input", "Input", base.DEC, nil, nil, "Number of the input; an output has none")
fields.peer = ProtoField.uint32("iommud.peer", "Peer", base.DEC, nil, nil, "Number of the connection; 0 is the service itself")
fields.connection = ProtoField.uint32("iommud.connection", "Connection", base.DEC, nil, nil, "Of what its session did: it has no peer before its Hello is granted")
fields.id = ProtoField.uint64("iommud.id", "Frame id")
fields.kind = ProtoField.uint32("iommud.kind", "Kind", base.DEC, KINDS)
fields.body = ProtoField.string("iommud.body", "Body")
fields.func = ProtoField.string("iommud.function", "Function")
fields.answers = ProtoField.framenum("iommud.answers", "Answers the call in", base.NONE, frametype.RESPONSE)
fields.answered = ProtoField.framenum("iommud.answered", "Is answered in", base.NONE, frametype.REQUEST)

local protobuf = Dissector.get("protobuf")
-- With names of fields, as pbf.iommud.v1.ResetPrepare.token, for filters and for -e.
pcall(set_preference, "protobuf.pbf_as_hf", true)
pcall(apply_preferences)

local function varint(tvb, at)
  local value, scale = 0, 1
  while at < tvb:len() do
    local byte = tvb(at, 1):uint()
    value = value + (byte % 128) * scale
    at = at + 1
    if byte < 128 then return value, at end
    scale = scale * 128
  end
  return nil, at
end

-- Calls visit(number, wire, value or range) for each field; stops at what is none.
local function each_field(tvb, visit)
  local at = 0
  while at < tvb:len() do
    local tag, value
    tag, at = varint(tvb, at)
    if tag == nil then return end
    local number, wire = math.floor(tag / 8), tag % 8
    if wire == VARINT then
      value, at = varint(tvb, at)
    elseif wire == DELIMITED then
      local length
      length, at = varint(tvb, at)
      if length == nil or at + length > tvb:len() then return end
      value = length == 0 and ByteArray.new():tvb("empty")() or tvb(at, length)
      at = at + length
    elseif wire == FIXED32 or wire == FIXED64 then
      local size = wire == FIXED32 and 4 or 8
      if at + size > tvb:len() then return end
      value = tvb(at, size)
      at = at + size
    else
      return
    end
    if value == nil then return end
    visit(number, wire, value)
  end
end

-- 00:02.0, and with its segment where that is not 0.
local function bdf(number)
  local segment = math.floor(number / 0x10000)
  local text = string.format("%02x:%02x.%d", math.floor(number / 0x100) % 0x100, math.floor(number / 8) % 32, number % 8)
  return segment == 0 and text or string.format("%04x:%s", segment, text)
end

local function read_frame(tvb)
  local frame = { id = 0, kind = 0 }
  each_field(tvb, function(number, wire, value)
    if number == 1 and wire == VARINT then frame.id = value
    elseif number == 2 and wire == VARINT then frame.kind = value
    elseif number == 3 and wire == DELIMITED then frame.data = value:len()
    elseif number >= 16 and wire == DELIMITED then
      local known = BODIES[number]
      frame.body = known and known[1] or ("body " .. number)
      if known and known[2] and value:len() > 0 then
        each_field(value:tvb(), function(field, kind, inside)
          if field == known[2] and kind == FIXED32 then frame.func = bdf(inside:le_uint()) end
        end)
      end
    end
  end)
  return frame
end

local function frame_text(frame)
  local words = { KINDS[frame.kind] or ("kind " .. frame.kind) }
  if frame.id ~= 0 then words[#words + 1] = tostring(frame.id) end
  words[#words + 1] = frame.body
  words[#words + 1] = frame.func
  if frame.data then words[#words + 1] = frame.data .. " bytes" end
  return table.concat(words, " ")
end

-- By frame number: the frame of the call that it answers, and of the reply that answers it.
local answers, answered = {}, {}
-- By connection, direction and id: the frame of the call that has no reply yet.
local open_calls = {}
function iommud.init()
  answers, answered, open_calls = {}, {}, {}
end

local function link(pinfo, connection, towards, frame)
  if pinfo.visited or frame.id == 0 then return end
  if KINDS[frame.kind] == "call" then
    open_calls[connection .. towards .. frame.id] = pinfo.number
  elseif KINDS[frame.kind] == "reply" then
    local key = connection .. (towards == ">" and "<" or ">") .. frame.id
    local call = open_calls[key]
    open_calls[key] = nil
    if call then answers[pinfo.number], answered[call] = call, pinfo.number end
  end
end

local function add_frame(tree, frame, pinfo)
  tree:add(fields.id, UInt64(frame.id % 0x100000000, math.floor(frame.id / 0x100000000)))
  tree:add(fields.kind, frame.kind)
  if frame.body then tree:add(fields.body, frame.body) end
  if frame.func then tree:add(fields.func, frame.func) end
  if answers[pinfo.number] then tree:add(fields.answers, answers[pinfo.number]):set_generated() end
  if answered[pinfo.number] then tree:add(fields.answered, answered[pinfo.number]):set_generated() end
end

local function decode(message, tvb, pinfo, tree)
  pinfo.private["pb_msg_type"] = "message," .. message
  protobuf:call(tvb, pinfo, tree)
end

-- What happened, with what a reader looks for in it.
local function happening(number, wire, value)
  if number == ROOM then return value ~= 0 and "reads on" or "does not read: events wait" end
  if wire ~= DELIMITED or (number ~= CLOSED and number ~= ASKED) then return HAPPENED[number] end
  local first, second = 0, nil
  each_field(value:tvb(), function(field, _, inside)
    if field == 1 then first = inside elseif field == 2 then second = inside end
  end)
  if number == ASKED then return "call " .. first .. " goes out as " .. tostring(second) end
  local why = second and second:len() > 0 and second:string(ENC_UTF_8) or ""
  return "is closed " .. first .. " " .. why
end

local function dissect_record(tvb, pinfo, tree)
  local own = tree:add(iommud, tvb())
  local input, peer, connection, frame, happened, towards
  each_field(tvb, function(number, wire, value)
    if number == 2 and wire == VARINT then input = value
    elseif number == 3 and wire == VARINT then peer = value
    elseif number == 6 and wire == VARINT then connection = value
    elseif TOWARDS[number] and wire == DELIMITED then frame, towards = read_frame(value:tvb()), TOWARDS[number]
    elseif HAPPENED[number] then happened = happening(number, wire, value)
    end
  end)
  if input then own:add(fields.input, UInt64(input % 0x100000000, math.floor(input / 0x100000000))) end
  if peer then own:add(fields.peer, peer) end
  if connection then own:add(fields.connection, connection) end
  local who = peer == 0 and "service" or peer and ("peer " .. peer) or connection and ("connection " .. connection) or "everybody"
  if frame then
    link(pinfo, who, towards, frame)
    add_frame(own, frame, pinfo)
  end
  local text = frame and frame_text(frame) or happened or "?"
  own:append_text(", " .. text)
  decode("iommud.v1.Record", tvb, pinfo, tree)
  pinfo.cols.protocol = "iommud"
  -- A machine has no addresses; who says what to whom stands where they would.
  pinfo.cols.src = towards == "<" and "machine" or who
  pinfo.cols.dst = towards == "<" and who or "machine"
  pinfo.cols.info = text
end

function iommud.dissector(tvb, pinfo, tree)
  dissect_record(tvb, pinfo, tree)
end

-- Packets on a websocket: their frames follow each other as they are.
local packet = Proto("iommud_ws", "iommud packet")
function packet.dissector(tvb, pinfo, tree)
  local texts = {}
  each_field(tvb, function(number, wire, value)
    if number ~= 1 or wire ~= DELIMITED then return end
    local frame = read_frame(value:tvb())
    add_frame(tree:add(packet, value, "iommud " .. frame_text(frame)), frame, pinfo)
    texts[#texts + 1] = frame_text(frame)
  end)
  decode("iommud.v1.Packet", tvb, pinfo, tree)
  pinfo.cols.protocol = "iommud"
  pinfo.cols.info = table.concat(texts, "; ")
end

DissectorTable.get("wtap_encap"):add(USER0, iommud)
DissectorTable.get("ws.protocol"):add("iommud.v1", packet)
