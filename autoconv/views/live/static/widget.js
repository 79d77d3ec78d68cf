// The page in a notebook's widget: a frame that can reach nothing around it, and messages between it and the model.
// The model has the state that Python knows too: "state", "picked", "losses".

function render({ model, el }) {
  el.innerHTML = model.get('frame');
  const frame = el.querySelector('iframe');
  let ready = false, own = null, ownPick = null;
  const tell = message => { if (frame.contentWindow) frame.contentWindow.postMessage({ autoconv: 'told', ...message }, '*'); };
  const heard = ({ source, data }) => {
    if (source !== frame.contentWindow || !data) return;
    if (data.autoconv === 'ready' && !ready) {
      ready = true;
      tell({ state: model.get('state'), losses: model.get('losses') });
    }
    if (data.autoconv === 'changed') { own = data.state; model.set('state', own); model.save_changes(); }
    if (data.autoconv === 'picked') { ownPick = data.picked; model.set('picked', ownPick); model.save_changes(); }
  };
  const state = () => { if (ready && model.get('state') !== own) tell({ state: model.get('state') }); };
  const picked = () => { if (ready && model.get('picked') !== ownPick) tell({ picked: model.get('picked') }); };
  const losses = () => { if (ready) tell({ losses: model.get('losses') }); };
  addEventListener('message', heard);
  model.on('change:state', state);
  model.on('change:picked', picked);
  model.on('change:losses', losses);
  frame.addEventListener('load', () => { frame.contentWindow.postMessage({ autoconv: 'hello' }, '*'); });
  return () => {
    removeEventListener('message', heard);
    model.off('change:state', state);
    model.off('change:picked', picked);
    model.off('change:losses', losses);
  };
}

export default { render };
