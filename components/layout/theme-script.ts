export const THEME_STORAGE_KEY = 'warren.theme';

/** Runs before the first paint, so that a page never flashes in the other theme. */
export const THEME_SCRIPT = `try{var t=localStorage.getItem('${THEME_STORAGE_KEY}');if(t==='light'||t==='dark')document.documentElement.dataset.theme=t}catch(e){}`;
